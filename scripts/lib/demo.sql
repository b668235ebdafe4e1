-- The demonstration's source: a small shop. Change a row and watch the goals move:
--   UPDATE metric SET value = value + 10 WHERE name = 'paying_customers';
CREATE TABLE metric (
    name text PRIMARY KEY,
    value numeric NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO metric VALUES ('paying_customers', 412), ('churn_percent', 4.2), ('p95_latency_ms', 340), ('uptime_percent', 99.95),
    ('nps', 37), ('docs_done_percent', 55);
CREATE TABLE customer_order (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    amount numeric NOT NULL,
    ordered_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO customer_order (amount) SELECT 20 + (i * 37) % 180 FROM generate_series(1, 900) i;

-- The shop may do as it likes with its tables; goalsync's connection only reads.
ALTER TABLE metric OWNER TO demo_shop;
ALTER TABLE customer_order OWNER TO demo_shop;
GRANT CREATE ON SCHEMA public TO demo_shop;
GRANT SELECT ON metric, customer_order TO demo_reader;
