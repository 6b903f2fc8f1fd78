"""Settings: defaults, where values come from, and all bad values at once."""

from pathlib import Path

import pytest

from hai.config import SETTINGS, ConfigError, load


def test_without_flags_and_environment_all_have_defaults():
    config = load({}, {})
    assert (config.port, config.data, config.sign_up) == (8888, Path("data"), "invite")
    assert config.max_picture_bytes == 50 * 1024 * 1024
    assert config.ping_interval_s == 25


def test_a_flag_wins_over_the_environment_and_that_over_the_default():
    environment = {"HAI_PORT": "1000", "HAI_MAX_TEXT_CHARS": "100"}
    config = load({"port": "2000", "max_text_chars": None}, environment)
    assert (config.port, config.max_text_chars) == (2000, 100)


def test_all_bad_values_are_reported_at_once():
    flags = {"port": "http", "sign_up": "perhaps", "ping_interval_s": "nan"}
    with pytest.raises(ConfigError) as caught:
        load(flags, {"HAI_DURABILITY": "some"})
    named = " ".join(caught.value.problems)
    assert len(caught.value.problems) == 4
    for name in ("--port", "--sign-up", "--ping-interval-s", "HAI_DURABILITY"):
        assert name in named


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "-1"),
        ("port", "65536"),
        ("ping_interval_s", "0"),
        ("ping_timeout_s", "inf"),
        ("second_factor", "some"),
        ("oidc_issuer", "http://login.example.org"),
        ("oidc_issuer", "https://login.example.org?x=1"),
        ("oidc_issuer", "login.example.org"),
        ("oidc_client_secret_file", "/nowhere"),
        ("max_text_chars", "4e3"),
        ("trusted_proxies", "10.0.0.0/99"),
        ("public_url", "hai.example.org"),
        ("public_url", "https://example.org/hai"),
        ("allowed_hosts", "http://hai.local"),
        ("allowed_hosts", "hai.local:8888"),
        ("security_contact", "ada@example.org"),
        ("security_contact", "https://x\nContact: https://y"),
        ("rate_limits", "yes"),
        ("loop", "trio"),
    ],
)
def test_a_bad_value_is_refused(name, value):
    with pytest.raises(ConfigError) as caught:
        load({name: value}, {})
    assert len(caught.value.problems) == 1


def test_fractions_of_a_second_are_allowed():
    assert load({"ping_interval_s": "0.5"}, {}).ping_interval_s == 0.5


def test_proxies_are_addresses_or_networks_between_commas():
    config = load({"trusted_proxies": "127.0.0.1, 10.0.0.0/8"}, {})
    assert config.trusted_proxies == ("127.0.0.1/32", "10.0.0.0/8")


def test_a_provider_needs_to_know_hai_by_a_name():
    issuer = {"oidc_issuer": "https://login.example.org/realms/home"}
    with pytest.raises(ConfigError) as caught:
        load(issuer, {})
    assert "--oidc-client-id" in caught.value.problems[0]
    config = load(issuer, {"HAI_OIDC_CLIENT_ID": "hai"})
    assert config.oidc_issuer == issuer["oidc_issuer"]


def test_an_unknown_variable_is_a_warning(expect_log):
    expect_log("unknown setting HAI_PROT")
    assert load({}, {"HAI_PROT": "80", "HOME": "/root"}).port == 8888


def test_a_setting_that_is_gone_keeps_nobody_from_starting(expect_log):
    expect_log("unknown setting HAI_REDIS_URL")
    assert "redis_url" not in load({}, {"HAI_REDIS_URL": "redis://a"}).as_dict()


def test_the_log_shows_every_setting():
    assert load({}, {}).as_dict().keys() == {setting.name for setting in SETTINGS}


def test_the_configuration_cannot_be_changed():
    with pytest.raises(AttributeError):
        load({}, {}).port = 1


def test_every_setting_is_a_field_with_help():
    config = load({}, {})
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)
    for setting in SETTINGS:
        assert hasattr(config, setting.name)
        assert setting.help
