"""Certificate authorities made for a test."""

import subprocess

from .lab import tool


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
                       input=input, timeout=30)

    @staticmethod
    def _new_key(path):
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path

    def sign(self, name, alternative, days=30):
        """Returns (certificate, key) of `name`, valid for `days`, or no longer if negative."""
        request, key = self.directory / f"{name}.csr", self.directory / f"{name}.key"
        certificate = self.directory / f"{name}.pem"
        self._openssl("req", "-new", *self._new_key(key), "-subj", f"/CN={name}", "-out", request)
        extensions = self.directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternative}\n")
        self._openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                      "-days", days, "-extfile", extensions, "-out", certificate)
        return certificate, key


def certificates(directory):
    """An authority, the certificates `right`, `elsewhere`, `expired` and `client` of it, and an `other` authority's."""
    ours = Authority(directory, "ours")
    ours.right = ours.sign("right", "DNS:localhost,IP:127.0.0.1")
    ours.elsewhere = ours.sign("elsewhere", "DNS:db.example.net")
    ours.expired = ours.sign("expired", "DNS:localhost,IP:127.0.0.1", days=-1)
    ours.client = ours.sign("client", "DNS:poller")
    ours.other = Authority(directory, "other").certificate
    directory.chmod(0o755)
    for path in directory.iterdir():
        path.chmod(0o644)
    return ours
