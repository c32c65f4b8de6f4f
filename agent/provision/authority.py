"""A certificate authority of this machine's own, which vouches for broker and devices to each other."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.provision.files import ProvisionError, cannot, locked, replace
from agent.provision.issued import Issued, read_issued, write_issued

_YEARS = 20
"""Longer than the machine lives: what ends a device's access is its revocation, not a date nobody thinks of."""
_BACKDATED = timedelta(days=400)
"""For devices whose clock has not been set yet."""


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes
    serial: str
    """Hexadecimal."""


class Authority:
    """The authority whose files are in one folder; made there where there is none yet."""

    def __init__(self, folder: Path) -> None:
        """Raises ProvisionError where the files cannot be read or made."""
        self._issued = folder / "issued.json"
        key, certificate = folder / "ca.key", folder / "ca.pem"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            with locked(folder):
                if not key.exists():
                    _make(key, certificate)
            self._certificate = x509.load_pem_x509_certificate(certificate.read_bytes())
            loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        except OSError as exc:
            raise cannot("read", Path(exc.filename or folder), exc) from exc
        except ValueError as exc:
            raise ProvisionError(f"{folder} is damaged: bring it back from a copy ({exc})") from exc
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise ProvisionError(f"{key} is no key of ours")
        self._key = loaded

    @property
    def certificate(self) -> bytes:
        """What devices and broker trust, PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def issued(self) -> tuple[Issued, ...]:
        """Every device's certificate so far, the oldest first."""
        return read_issued(self._issued)

    def server(self, names: Iterable[str]) -> Identity:
        """For a broker that can be reached under `names`: hosts' names and addresses."""
        san = x509.SubjectAlternativeName([_general_name(name) for name in names])
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder("edgevoice broker", key).add_extension(san, critical=False)
        return self._signed(builder, key, ExtendedKeyUsageOID.SERVER_AUTH)

    def device(self, name: str) -> Identity:
        """For the device `name`, written down before it is handed out."""
        key = ec.generate_private_key(ec.SECP256R1())
        identity = self._signed(self._builder(name, key), key, ExtendedKeyUsageOID.CLIENT_AUTH)
        until = x509.load_pem_x509_certificate(identity.certificate).not_valid_after_utc.date()
        with locked(self._issued.parent):
            write_issued(self._issued, (*self.issued, Issued(device=name, serial=identity.serial, until=until)))
        return identity

    def valid(self, name: str) -> list[Issued]:
        """The certificates of the device `name` that count."""
        return [one for one in self.issued if one.device == name and not one.revoked]

    def revoke(self, serials: Iterable[str]) -> None:
        """Takes these certificates back."""
        unwanted, today = set(serials), datetime.now(timezone.utc).date()
        with locked(self._issued.parent):
            after = [
                one.model_copy(update={"revoked": today}) if one.serial in unwanted else one for one in self.issued
            ]
            write_issued(self._issued, after)

    def revocations(self) -> bytes:
        """The list of what was taken back, PEM. It never runs out: an old one would keep every device out."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(self._certificate.not_valid_before_utc)
            .next_update(self._certificate.not_valid_after_utc)
        )
        for one in self.issued:
            if one.revoked:
                when = datetime.combine(one.revoked, datetime.min.time(), timezone.utc)
                entry = x509.RevokedCertificateBuilder().serial_number(int(one.serial, 16)).revocation_date(when)
                builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _builder(self, name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        builder = _builder(name, self._certificate.subject, key)
        until = min(datetime.now(timezone.utc) + timedelta(days=365 * _YEARS), self._certificate.not_valid_after_utc)
        known = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        constraints = x509.BasicConstraints(ca=False, path_length=None)
        return (
            builder.not_valid_after(until)
            .add_extension(constraints, critical=True)
            .add_extension(known, critical=False)
        )

    def _signed(
        self, builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, usage: x509.ObjectIdentifier
    ) -> Identity:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        return Identity(pem, _pem(key), f"{certificate.serial_number:x}")


def names_in(certificate: bytes) -> list[str]:
    """The hosts' names and addresses that a broker's certificate, PEM, is good for."""
    loaded = x509.load_pem_x509_certificate(certificate)
    san = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [*san.get_values_for_type(x509.DNSName), *map(str, san.get_values_for_type(x509.IPAddress))]


def _make(key_file: Path, certificate_file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = f"edgevoice {x509.random_serial_number():x}"[:24]
    builder = _builder(name, _name(name), key)
    usage = x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        builder.not_valid_after(datetime.now(timezone.utc) + timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    replace(certificate_file, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
    replace(key_file, _pem(key), mode=0o600)


def _builder(name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(timezone.utc) - _BACKDATED)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
