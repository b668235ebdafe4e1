class Servers:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def run(build, connector, cases, servers):
    return []
