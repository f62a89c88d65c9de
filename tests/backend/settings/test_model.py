"""Settings: their sources and precedence, and the table in docs/settings.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from wireside.settings.load import WrongSettings, load_settings, unknown_variables
from wireside.settings.model import Settings, variable_of

SETTINGS_PAGE = Path(__file__).parents[3] / "docs" / "settings.md"
LIMITS_PAGE = SETTINGS_PAGE.with_name("limits.md")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "WIRESIDE_PORT", "WIRESIDE_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def row(name: str, field: FieldInfo) -> str:
    """Return the row of one setting in the table of docs/settings.md."""
    variable = name.upper() if name.startswith("openai_") else f"WIRESIDE_{name.upper()}"
    return f"| `{variable}` | {shown_default(name, field)} | {field.description} |"


def shown_default(name: str, field: FieldInfo) -> str:
    if name in ("cache_dir", "data_dir"):
        return "the user's"
    value = field.default
    if value is None or value in ((), ""):
        return ""
    if isinstance(value, tuple):
        return f"`{', '.join(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def test_the_settings_page_has_every_setting() -> None:
    page = SETTINGS_PAGE.read_text(encoding="utf-8")
    missing = [
        line
        for name, field in Settings.model_fields.items()
        if (line := row(name, field)) not in page
    ]
    assert not missing, "rows for the table in docs/settings.md:\n" + "\n".join(missing)


def test_the_page_of_limits_names_the_settings_of_limits() -> None:
    known = {variable_of(name) for name in Settings.model_fields}
    named = set(re.findall(r"WIRESIDE_[A-Z_]+", LIMITS_PAGE.read_text("utf-8")))
    limits = {name for name in known if re.search(r"_PER_(MINUTE|SECOND|DAY|ADDRESS|CONN)", name)}
    limits |= {name for name in known if re.search(r"_STREAMS|_MAX_|_RESUME_", name)}
    assert limits <= named <= known


def test_the_settings_page_has_no_other_setting() -> None:
    lines = SETTINGS_PAGE.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith(("| `WIRESIDE_", "| `OPENAI_"))]
    assert len(rows) == len(Settings.model_fields)


def test_environment_over_file_and_arguments_over_both(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "wireside.toml").write_text('port = 1\nmodel = "file"\nname = "File"\n')
    monkeypatch.setenv("WIRESIDE_PORT", "2")
    monkeypatch.setenv("WIRESIDE_MODEL", "environment")
    settings = Settings(port=3)
    assert (settings.port, settings.model, settings.name) == (3, "environment", "File")


def test_lists_are_written_with_commas_and_starters_with_bars(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WIRESIDE_ALLOWED_ORIGINS", "https://a.example, https://b.example,")
    monkeypatch.setenv("WIRESIDE_STARTERS", "One, two?|Three?")
    settings = Settings()
    assert settings.allowed_origins == ("https://a.example", "https://b.example")
    assert settings.starters == ("One, two?", "Three?")


def test_openai_variables_are_honoured_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Settings().uses_openai
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert Settings().uses_openai
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    monkeypatch.setenv("OPENAI_API_KEY", " ")
    assert not Settings().uses_openai
    monkeypatch.setenv("OPENAI_API_KEY", "canary-key")
    settings = Settings()
    assert settings.uses_openai
    assert "canary-key" not in repr(settings)


@pytest.mark.parametrize(
    "values",
    [
        {"port": 70000},
        {"silence_s": 0},
        {"accent": "red"},
        {"theme": "pink"},
        {"unknown": 1},
        {"reasoning_tags": "a b c"},
    ],
)
def test_wrong_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings(**values)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("frame_ancestors", "nowhere", "is no origin"),
        ("trusted_proxies", "10.0.0.5/24", "write it as 10.0.0.5 or 10.0.0.0/24"),
        ("logo", "nowhere.svg", "there is no such file"),
    ],
)
def test_what_would_only_be_seen_later_is_told_before_the_start(
    name: str, value: str, words: str
) -> None:
    with pytest.raises(WrongSettings, match=words) as told:
        load_settings(**{name: value})
    assert f"WIRESIDE_{name.upper()}" in str(told.value)
    assert value in str(told.value)


def test_a_server_that_others_reach_through_a_proxy_without_accounts_is_warned_of() -> None:
    told = Settings(public_url="https://chat.example.org").openness
    assert told is not None
    assert "https://chat.example.org" in told
    assert "WIRESIDE_AUTH=password" in told
    assert Settings(trusted_hosts=("chat.example.org",)).openness is not None
    assert Settings(public_url="https://chat.example.org", auth="password").openness is None
    assert Settings(public_url="http://localhost:9000", trusted_hosts=("::1",)).openness is None
    assert Settings().openness is None


@pytest.mark.parametrize(
    ("url", "is_https"),
    [
        (None, False),
        ("http://chat.example", False),
        ("https://chat.example", True),
        ("HTTPS://Chat.example/Sub", True),
    ],
)
def test_a_public_address_says_whether_it_is_https(url: str | None, is_https: bool) -> None:
    settings = Settings(public_url=url)
    assert settings.is_https is is_https
    assert settings.public_url == (url and url.replace("HTTPS", "https"))


class TestSecretFiles:
    def test_a_secret_is_read_from_the_file_that_is_named(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for variable, text in (
            ("OPENAI_API_KEY", "sk-one\n"),
            ("WIRESIDE_DATABASE_URL", "postgresql://me:secret@host/x\n"),
            ("WIRESIDE_METRICS_TOKEN", "two"),
            ("WIRESIDE_REDIS_URL", "redis://host"),
            ("WIRESIDE_OIDC_CLIENT_SECRET", "three "),
        ):
            (tmp_path / variable).write_text(text)
            monkeypatch.setenv(f"{variable}_FILE", str(tmp_path / variable))
        settings = load_settings()
        for field, value in (
            ("openai_api_key", "sk-one"),
            ("database_url", "postgresql://me:secret@host/x"),
            ("metrics_token", "two"),
            ("redis_url", "redis://host"),
            ("oidc_client_secret", "three"),
        ):
            assert getattr(settings, field).get_secret_value() == value

    def test_both_forms_at_once_are_refused(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "key").write_text("from-the-file")
        monkeypatch.setenv("OPENAI_API_KEY", "from-the-environment")
        monkeypatch.setenv("OPENAI_API_KEY_FILE", str(tmp_path / "key"))
        with pytest.raises(WrongSettings, match="Both OPENAI_API_KEY and OPENAI_API_KEY_FILE") as e:
            load_settings()
        assert "from-the" not in str(e.value)

    def test_a_file_that_is_not_there_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WIRESIDE_METRICS_TOKEN_FILE", "/nowhere/token")
        with pytest.raises(WrongSettings, match=r"WIRESIDE_METRICS_TOKEN_FILE is `/nowhere/token`"):
            load_settings()

    @pytest.mark.parametrize(
        ("variable", "value"),
        [("OPENAI_API_KEY", "sk-one"), ("WIRESIDE_DATABASE_URL", "postgresql://host/x")],
    )
    def test_the_file_counts_where_the_variable_is_empty(
        self, variable: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "secret").write_text(value)
        monkeypatch.setenv(variable, "")
        monkeypatch.setenv(f"{variable}_FILE", str(tmp_path / "secret"))
        field = variable.removeprefix("WIRESIDE_").lower()
        assert getattr(load_settings(), field).get_secret_value() == value

    @pytest.mark.parametrize("field", ["openai_api_key", "database_url"])
    def test_the_file_counts_before_the_settings_file(
        self, field: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "secret").write_text("postgresql://from/file")
        (tmp_path / "wireside.toml").write_text(f'{field} = "sqlite:///from-toml"')
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv(f"{variable_of(field)}_FILE", str(tmp_path / "secret"))
        assert getattr(load_settings(), field).get_secret_value() == "postgresql://from/file"

    def test_an_empty_file_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "url").write_text("\n")
        monkeypatch.setenv("WIRESIDE_DATABASE_URL_FILE", str(tmp_path / "url"))
        with pytest.raises(WrongSettings, match=r"WIRESIDE_DATABASE_URL_FILE is `.*`.* is empty"):
            load_settings()

    def test_what_is_no_secret_is_not_read_from_a_file(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "port").write_text("99")
        monkeypatch.setenv("WIRESIDE_PORT_FILE", str(tmp_path / "port"))
        assert load_settings().port == 8080
        assert unknown_variables({"WIRESIDE_PORT_FILE": ""}) == [
            ("WIRESIDE_PORT_FILE", "WIRESIDE_PORT")
        ]


def test_unknown_variables_are_found_with_the_nearest_setting() -> None:
    environment = {
        "WIRESIDE_PROT": "1",
        "WIRESIDE_PORT": "1",
        "WIRESIDE_METRICS_TOKEN_FILE": "x",
        "OTHER": "",
        "WIRESIDE_XYZZY": "",
    }
    assert unknown_variables(environment) == [
        ("WIRESIDE_PROT", "WIRESIDE_PORT"),
        ("WIRESIDE_XYZZY", None),
    ]


def test_a_unix_socket_is_on_this_machine() -> None:
    settings = Settings(host="unix:/run/wireside.sock")
    assert (settings.exposure, settings.unix_path) == (None, Path("/run/wireside.sock"))
    assert Settings(host="::1").unix_path is None


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ('"sk-1"', "sk-1"),
        ("'sk-1'", "sk-1"),
        (" sk-1\n", "sk-1"),
        ("Bearer sk-1", "sk-1"),
        ('""', None),
        ("", None),
    ],
)
def test_a_key_is_taken_without_what_copying_puts_around_it(written: str, key: str | None) -> None:
    got = Settings(openai_api_key=written).openai_api_key
    assert (got.get_secret_value() if got else None) == key


def test_quotes_around_address_and_model_are_left_out() -> None:
    settings = Settings(openai_base_url='"http://a:1/v1"', model="'qwen3:8b'")
    assert (settings.openai_base_url, settings.model) == ("http://a:1/v1", "qwen3:8b")
    empty = Settings(openai_base_url='""', model='" "')
    assert (empty.openai_base_url, empty.model, empty.uses_openai) == (None, None, False)


def test_the_root_path_is_that_of_the_public_url() -> None:
    url = "https://example.org/tools/chat/"
    assert Settings(public_url=url).effective_root_path == "/tools/chat"
    assert Settings(public_url=url, root_path="/tools/chat").effective_root_path == "/tools/chat"
    assert Settings(root_path="/tools/").effective_root_path == "/tools"
    assert Settings(public_url="https://example.org").effective_root_path == ""
    with pytest.raises(ValueError, match="its path must be the same"):
        _ = Settings(public_url=url, root_path="/chat").effective_root_path
    with pytest.raises(WrongSettings, match="write it as /tools/chat"):
        load_settings(public_url="https://example.org/a b")


def test_aliases_name_their_models() -> None:
    assert Settings().models_by_alias == {"gpt-4o": ""}
    aliases = Settings(model_aliases=("gpt-4o = llama3.3", "a=", "*=x=y")).models_by_alias
    assert aliases == {"gpt-4o": "llama3.3", "a": "", "*": "x=y"}
    for wrong in ("gpt-4o", "=x", "a=1,a=2"):
        with pytest.raises(ValidationError):
            Settings(model_aliases=tuple(wrong.split(",")))


def test_a_replica_is_named_by_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "büro 7")
    assert Settings().effective_replica_name == "b-ro-7"
    assert Settings(replica_name="a.1").effective_replica_name == "a.1"
    with pytest.raises(ValidationError):
        Settings(replica_name="a b")


def test_a_replica_is_not_removed_for_one_late_beat() -> None:
    assert Settings().replica_times is None
    wrong = Settings(replica_beat_s=2, replica_ttl_s=5).replica_times
    assert wrong == (
        "WIRESIDE_REPLICA_TTL_S is 5: it must be at least three times WIRESIDE_REPLICA_BEAT_S,"
        " which is 2."
    )


def test_a_container_for_its_own_machine_needs_no_accounts() -> None:
    settings = Settings(host="0.0.0.0", loopback_published=True)
    assert settings.exposure is None
    assert settings.publication is not None
    assert Settings(host="0.0.0.0", loopback_published=True, auth="password").exposure is None
    assert Settings(host="0.0.0.0", loopback_published=True, auth="password").publication is None


@pytest.mark.parametrize(
    "others",
    [{"public_url": "https://chat.example.org"}, {"trusted_hosts": ("192.168.1.5",)}],
)
@pytest.mark.parametrize("auth", ["none", "password"])
def test_a_container_for_its_own_machine_has_no_public_name(
    others: dict[str, object], auth: str
) -> None:
    given = {"host": "0.0.0.0", "loopback_published": True, "auth": auth, **others}
    settings = Settings.model_validate(given)
    assert "WIRESIDE_LOOPBACK_PUBLISHED" in (settings.exposure or "")
    local = Settings(host="0.0.0.0", loopback_published=True, public_url="http://localhost:8080")
    assert local.exposure is None


def test_providers_and_prices_come_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-file\n")
    (tmp_path / "wireside.toml").write_text(
        f"""
        [[providers]]
        name = "one"
        base_url = "http://127.0.0.1:1/v1"
        api_key_file = "{tmp_path / "key"}"
        [providers.prices."a*"]
        input = 1
        [[providers]]
        name = "two"
        api_key = "sk-two"
        [prices."gpt-*"]
        output = 2.5
        currency = "€"
        """
    )
    settings = load_settings()
    assert [spec.name for spec in settings.provider_specs] == ["one", "two"]
    assert settings.provider_specs[0].api_key == "sk-file"
    assert settings.main_prices[0].currency == "€"
    assert settings.uses_openai
    assert not settings.has_main_service
    assert "sk-two" not in repr(settings)


def test_providers_may_be_json_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRESIDE_PROVIDERS", '[{"name": "x", "api_key": "sk-x"}]')
    monkeypatch.setenv("WIRESIDE_PRICES", '{"a": {"input": 1}}')
    settings = load_settings()
    assert [spec.api_key for spec in settings.provider_specs] == ["sk-x"]
    assert [price.models for price in settings.main_prices] == ["a"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            '[[providers]]\nname = "x"\napi_key = "sk-x"\nurl = "y"',
            "providers[1] (x) has a key `url`",
        ),
        ('[providers]\nname = "x"', "wireside.toml: providers is not a list of tables"),
        ('[prices.x]\ninput = "cheap"', "wireside.toml: prices.x.input: a price per million"),
        ('[[providers]]\nname = "x"\napi_key_file = "/none"', "api_key_file: it is `/none`, which"),
    ],
)
def test_a_wrong_provider_names_file_and_key(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "wireside.toml").write_text(text)
    with pytest.raises(WrongSettings, match=re.escape(sentence)) as raised:
        load_settings()
    assert "sk-x" not in str(raised.value)


def test_json_that_is_none_is_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRESIDE_PROVIDERS", '[{"api_key": "sk-x"')
    with pytest.raises(WrongSettings) as raised:
        load_settings()
    assert str(raised.value) == "WIRESIDE_PROVIDERS is not JSON."
