"""Directories that can be Cacti's path_webroot: with Cacti's own script_server.php, or with one that misbehaves."""

import pathlib
import shutil

from . import cacti

FAKE = pathlib.Path(__file__).with_name("fakeserver.py")
PYTHON = "/usr/bin/python3"

_CONFIG = """<?php
$database_type = 'mysql'; $database_default = '{database}'; $database_hostname = '{socket}';
$database_username = '{user}'; $database_password = '{password}'; $database_port = '3306';
$database_retries = 5; $database_ssl = false; $database_ssl_key = ''; $database_ssl_cert = '';
$database_ssl_ca = ''; $database_persist = false; $poller_id = 1; $url_path = '/cacti/';
"""


def config(socket):
    """The text of Cacti's include/config.php for a site's database."""
    return _CONFIG.format(database=cacti.DATABASE, socket=socket, user=cacti.USER, password=cacti.PASSWORD)


def real(site, directory):
    """Makes `site` use Cacti's own script server, on its database. Returns the web root; put scripts there."""
    root = pathlib.Path(directory)
    (root / "include").mkdir(parents=True)
    (root / "log").mkdir()
    for path in cacti.web_root().iterdir():
        if path.name == "script_server.php":
            shutil.copyfile(path, root / path.name)  # PHP looks for the rest where this file really is
        elif path.name not in ("include", "log"):
            (root / path.name).symlink_to(path)
    for path in (cacti.web_root() / "include").iterdir():
        if path.is_dir():
            (root / "include" / path.name).symlink_to(path)
        elif path.is_file():
            shutil.copyfile(path, root / "include" / path.name)
    (root / "include/config.php").write_text(config(site.server.socket))
    site.settings(path_webroot=root)
    return root


def fake(site, directory):
    """Makes `site` use fakeserver.py."""
    root = pathlib.Path(directory)
    root.mkdir()
    shutil.copyfile(FAKE, root / "script_server.php")
    site.settings(path_webroot=root, path_php_binary=PYTHON)
    return root
