"""What differs between the servers of MariaDB and MySQL, and between their clients: programs, options, a few statements.

$DATABASE (mariadb, mysql) says which one the tests use; without it that is the one that is installed, MariaDB's first.
"""

import dataclasses
import os

from .lab import LabError, MissingTool, tool


@dataclasses.dataclass(frozen=True)
class Vendor:
    name: str
    server: str
    client: str
    packages: dict  # {program: Debian package} of all that is needed
    options: tuple  # of the server
    without_tls: str
    installer: tuple  # makes a data directory; its directory is appended
    client_options: tuple  # as which Cacti's schema can be loaded

    def tool(self, program):
        return tool(program, self.packages[program])


_OPTIONS = (
    "--skip-log-bin",
    "--skip-name-resolve",
    "--performance-schema=OFF",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=0",
    "--innodb-buffer-pool-size=64M",
    "--innodb-buffer-pool-load-at-startup=0",
    "--innodb-buffer-pool-dump-at-shutdown=0",
    "--key-buffer-size=1M",
    "--max-heap-table-size=1G",
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_unicode_ci",
    "--log-output=TABLE",
)

MARIADB = Vendor(
    name="mariadb",
    server="mariadbd",
    client="mariadb",
    packages={"mariadbd": "mariadb-server", "mariadb-install-db": "mariadb-server", "mariadb": "mariadb-client"},
    options=(*_OPTIONS, "--innodb-fast-shutdown=2", "--innodb-log-file-size=4M", "--aria-pagecache-buffer-size=4M"),
    without_tls="--skip-ssl",
    installer=("mariadb-install-db", "--no-defaults", "--force", "--skip-name-resolve", "--skip-test-db",
               "--auth-root-authentication-method=normal", "--innodb-log-file-size=4M"),
    client_options=(),
)

#: `--secure-file-priv=`: the default is a directory that only a package's installation creates. The client of 9.x takes
#: neither DELIMITER nor comments for what they are unless told so.
MYSQL = Vendor(
    name="mysql",
    server="mysqld",
    client="mysql",
    packages={"mysqld": "mysql-server-core", "mysql": "mysql-client-core"},
    options=(*_OPTIONS, "--innodb-redo-log-capacity=8M", "--mysqlx=OFF", "--secure-file-priv="),
    without_tls="--tls-version=",
    installer=("mysqld", "--no-defaults", "--initialize-insecure", "--secure-file-priv=", "--innodb-redo-log-capacity=8M"),
    client_options=("--commands", "--skip-comments", "--init-command=SET sql_mode=''"),
)


def _installed(vendor):
    try:
        return bool(vendor.tool(vendor.server))
    except MissingTool:
        return False


def chosen():
    name = os.environ.get("DATABASE")
    if name:
        for vendor in (MARIADB, MYSQL):
            if vendor.name == name:
                return vendor
        raise LabError(f"DATABASE={name}: it is mariadb or mysql")
    return MYSQL if _installed(MYSQL) and not _installed(MARIADB) else MARIADB
