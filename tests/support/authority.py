"""Certificate authorities made for a test."""

import datetime
import subprocess

from .lab import HANG_S, tool

_CA = """[ca]
default_ca = this
[this]
database = {database}
new_certs_dir = {directory}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
"""


class Authority:
    """A certificate authority made for the test, and what it has signed."""

    def __init__(self, directory, name):
        self.directory = directory
        self.name = name
        self.certificate = directory / f"{name}.pem"
        self.key = directory / f"{name}.key"
        self._openssl("req", "-x509", *self._new_key(self.key), "-days", "30", "-subj", f"/CN={name}",
                      "-out", self.certificate)

    def _openssl(self, *arguments, input=None):
        subprocess.run([tool("openssl", "openssl"), *map(str, arguments)], check=True, capture_output=True, text=True,
                       input=input, timeout=HANG_S)

    @staticmethod
    def _new_key(path):
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path

    def sign(self, name, alternative, days=30):
        """Returns (certificate, key) of `name`, valid from 60 days ago until `days` from now."""
        request, key = self.directory / f"{name}.csr", self.directory / f"{name}.key"
        certificate = self.directory / f"{name}.pem"
        self._openssl("req", "-new", *self._new_key(key), "-subj", f"/CN={name}", "-out", request)
        (self.directory / "ca.ext").write_text(f"subjectAltName={alternative}\n", encoding="ascii")
        now = datetime.datetime.now(datetime.timezone.utc)
        first, last = (f"{now + datetime.timedelta(days=n):%Y%m%d%H%M%SZ}" for n in (-60, days))
        # Of openssl's commands only this one takes dates in the past in all versions.
        self._openssl("ca", "-batch", "-notext", "-config", self._ca(), "-cert", self.certificate, "-keyfile", self.key,
                      "-startdate", first, "-enddate", last, "-extfile", self.directory / "ca.ext", "-in", request,
                      "-out", certificate)
        return certificate, key

    def _ca(self):
        config, database = self.directory / "ca.conf", self.directory / "ca.index"
        config.write_text(_CA.format(directory=self.directory, database=database), encoding="ascii")
        database.touch()
        return config


def certificates(directory):
    """An authority, the certificates `right`, `elsewhere`, `expired` and `client` of it, and an `other` authority's."""
    ours = Authority(directory, "ours")
    ours.right = ours.sign("right", "DNS:localhost,IP:127.0.0.1,IP:127.0.0.2")
    ours.elsewhere = ours.sign("elsewhere", "DNS:db.example.net")
    ours.expired = ours.sign("expired", "DNS:localhost,IP:127.0.0.1", days=-1)
    ours.client = ours.sign("client", "DNS:poller")
    ours.other = Authority(directory, "other").certificate
    directory.chmod(0o755)
    for path in directory.iterdir():
        path.chmod(0o644)
    return ours
