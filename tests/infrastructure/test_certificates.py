"""The roots that connections to the database are verified against: all there, all valid, no others."""

import hashlib
import re
import ssl
from datetime import UTC, datetime, timedelta

import pytest

from tests.infrastructure.templates import ROOT

CERTIFICATES = ROOT / "layers/common/certificates"
AMAZON_ROOTS = {
    "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",  # Amazon Root CA 1
    "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",  # Amazon Root CA 2
    "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",  # Amazon Root CA 3
    "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",  # Amazon Root CA 4
    "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",  # Starfield Services Root CA G2
}


def roots(file: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(CERTIFICATES / file)
    return context


def common_names(file: str) -> list[str]:
    subjects = [str(certificate["subject"]) for certificate in roots(file).get_ca_certs()]
    return re.findall(r"'commonName', '(.+?)'", " ".join(subjects))


def test_the_proxy_is_verified_against_amazons_five_roots_alone() -> None:
    found = [hashlib.sha256(der).hexdigest() for der in roots("amazon.pem").get_ca_certs(binary_form=True)]
    assert (set(found), len(found)) == (AMAZON_ROOTS, 5)


def test_the_database_is_verified_against_three_roots_a_region_of_rds_alone() -> None:
    regions: dict[str, set[str]] = {}
    for name in common_names("rds.pem"):
        found = re.fullmatch(r"Amazon RDS ([a-z]+-[a-z]+-\d) Root CA (RSA2048|RSA4096|ECC384) G1", name)
        assert found, name
        regions.setdefault(found[1], set()).add(found[2])
    assert {"ap-northeast-1", "us-east-1", "eu-central-1"} <= regions.keys()
    assert not [region for region, kinds in regions.items() if len(kinds) != 3]


@pytest.mark.parametrize("file", ["amazon.pem", "rds.pem"])
def test_no_root_expires_within_a_year(file: str) -> None:
    limit = datetime.now(UTC) + timedelta(days=365)
    ends = [ssl.cert_time_to_seconds(str(certificate["notAfter"])) for certificate in roots(file).get_ca_certs()]
    assert min(ends) > limit.timestamp()


@pytest.mark.parametrize("file", ["amazon.pem", "rds.pem"])
def test_every_certificate_in_the_file_is_loaded_and_named_above_it(file: str) -> None:
    text = (CERTIFICATES / file).read_text(encoding="ascii")
    named = re.findall(r"^# (.+), valid until .*\n-----BEGIN CERTIFICATE-----$", text, re.MULTILINE)
    assert sorted(named) == sorted(common_names(file))
    assert len(named) == text.count("BEGIN CERTIFICATE")
