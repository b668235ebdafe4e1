// Starts oidc-provider, a certified OpenID Connect server, as the sign-in service of a test.
//   node oidc_provider.mjs LIBRARY CONFIGURATION      (the latter: a JSON file, see oidc.py)
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { pathToFileURL } from 'node:url';

const [library, file] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(library));
const config = JSON.parse(readFileSync(file, 'utf8'));

const provider = new Provider(config.issuer, {
  clients: config.clients,
  jwks: config.jwks,
  cookies: { keys: ['only for tests'] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'groups'] },
  conformIdTokenClaims: config.userinfo_only,
  pkce: { required: () => true },
  ttl: { AccessToken: 600, ClientCredentials: 600, IdToken: 600, Session: 600, Interaction: 600, Grant: 600 },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...config.people[id] }) }),
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx, client) => (client.grantTypeAllowed('client_credentials') ? config.audience : undefined),
      getResourceServerInfo: (ctx, audience) => ({
        scope: 'read write admin tenant', audience, accessTokenFormat: 'jwt', jwt: { sign: { alg: config.algorithm } },
      }),
    },
  },
});

https.createServer({ key: readFileSync(config.key), cert: readFileSync(config.certificate) }, provider.callback())
  .listen(config.port, '127.0.0.1', () => console.log('listening'));
