"""Settings that plugins bring."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from prefect_kernel.errors import PluginError, SettingsError
from prefect_kernel.settings import Setting, Settings, load

HOME = {"HOME": "/home/somebody"}
FREEZE = Setting("ACME_FREEZE", bool, False, "Whether nothing may start.", aliases=("ACME_STOP",))
LEVELS = Setting("PREFECT_KERNEL_ACME_LEVELS", list[int], [1], "Levels.")
TOKEN = Setting("ACME_TOKEN", str | None, None, "Token.", secret=True)


def adopted(directory: Path, environ: dict[str, str], *declared: Setting, overrides: Any = None) -> Settings:
    """Settings to which plugin `acme` has brought some."""
    settings = load({**HOME, **environ}, directory, overrides)
    settings.adopt("acme", declared)
    settings.check_names()
    return settings


def test_a_default_stands_when_nobody_says_anything(tmp_path: Path) -> None:
    """Values of plugins are read by name, and are a mapping."""
    plugin = adopted(tmp_path, {}, FREEZE, LEVELS, TOKEN).plugin
    assert dict(plugin) == {"ACME_FREEZE": False, "PREFECT_KERNEL_ACME_LEVELS": [1], "ACME_TOKEN": None}


@pytest.mark.parametrize(
    ("files", "environ", "overrides"),
    [
        ({}, {"ACME_FREEZE": "yes"}, None),
        ({}, {"acme_freeze": "1", "ACME_STOP": "0"}, None),
        ({}, {"ACME_STOP": "1"}, None),
        ({".env": "ACME_FREEZE=true\n"}, {}, None),
        ({"prefect.toml": "[kernel.plugin]\nacme_freeze = true\n"}, {}, None),
        ({"pyproject.toml": "[tool.prefect.kernel.plugin]\nacme_freeze = true\n"}, {}, None),
        ({"profiles.toml": "active = 'p'\n[profiles.p]\nACME_FREEZE = 'true'\n"}, {}, None),
        ({"prefect.toml": "[kernel.plugin]\nacme_freeze = false\n"}, {"ACME_FREEZE": "1"}, None),
        ({}, {"ACME_FREEZE": "0"}, {"ACME_FREEZE": True}),
    ],
)
def test_values_come_from_where_all_come_from(
    files: dict[str, str], environ: dict[str, str], overrides: Any, tmp_path: Path
) -> None:
    """Each source says something about a plugin's setting, in the usual order, its name before its aliases."""
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    environ = {"PREFECT_PROFILES_PATH": "profiles.toml", **environ}
    assert adopted(tmp_path, environ, FREEZE, overrides=overrides).plugin["ACME_FREEZE"] is True


def test_a_name_of_the_kernel_is_in_its_table(tmp_path: Path) -> None:
    """`PREFECT_KERNEL_ACME_LEVELS` is `acme_levels` in `[kernel]`, and text of it is JSON."""
    (tmp_path / "prefect.toml").write_text("[kernel]\nacme_levels = [2, 3]\n", encoding="utf-8")
    assert adopted(tmp_path, {}, LEVELS).plugin["PREFECT_KERNEL_ACME_LEVELS"] == [2, 3]
    environ = {"PREFECT_KERNEL_ACME_LEVELS": "[4]"}
    assert adopted(tmp_path, environ, LEVELS).plugin["PREFECT_KERNEL_ACME_LEVELS"] == [4]


def test_a_bad_value_is_one_sentence_and_nothing_is_kept(tmp_path: Path) -> None:
    """The user's mistake is a SettingsError; a secret is not repeated in it."""
    settings = load({**HOME, "ACME_FREEZE": "maybe", "PREFECT_KERNEL_ACME_LEVELS": "x", "ACME_N": "hush"}, tmp_path)
    with pytest.raises(SettingsError) as caught:
        settings.adopt("acme", [FREEZE, LEVELS, Setting("ACME_N", int, 0, "A number.", secret=True)])
    assert caught.value.message.split("\n") == [
        "ACME_FREEZE = 'maybe' (from environment) is not allowed: must be true or false.",
        "PREFECT_KERNEL_ACME_LEVELS = 'x' (from environment) is not allowed: must be JSON.",
        "ACME_N (from environment) is not allowed: must be a whole number.",
    ]
    assert not settings.plugin


def test_what_is_allowed_is_said(tmp_path: Path) -> None:
    """Bounds, what a mapping leads to, and whether nothing at all will do."""
    wrong = {"ACME_RATE": "-1", "ACME_ROLES": '{"a": "boss"}', "ACME_ROLE": "boss"}
    role = Literal["viewer", "admin"]
    with pytest.raises(SettingsError) as caught:
        load({**HOME, **wrong}, tmp_path).adopt(
            "acme",
            [
                Setting("ACME_RATE", Annotated[float, Field(ge=0, le=600)], 0.0, "A number."),
                Setting("ACME_ROLES", dict[str, role], {}, "Roles."),
                Setting("ACME_ROLE", Literal["", "viewer", "admin"], "", "A role."),
            ],
        )
    assert [line.partition("must be ")[2] for line in caught.value.message.split("\n")] == [
        "a number, at least 0 and at most 600.",
        "a mapping whose values are one of viewer, admin.",
        "one of viewer, admin or empty.",
    ]


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        ("ACME", r"must return Setting objects, not 'ACME'"),
        (Setting("acme", bool, False, ""), r"'acme' is no name for a setting"),
        (Setting("PREFECT_SERVER_ACME", bool, False, ""), r"PREFECT_SERVER_ACME looks like a setting of Prefect"),
        (Setting("PREFECT_API_URL", str, "", ""), r"there is a setting named PREFECT_API_URL already"),
        (Setting("PREFECT_KERNEL_SERVER", str, "", ""), r"there is a setting named PREFECT_KERNEL_SERVER already"),
        (Setting("ACME_X", bool, False, "", aliases=("OTHER_FREEZE",)), r"named OTHER_FREEZE already"),
        (Setting("ACME_X", int, "many", ""), r"the default of setting ACME_X is not allowed"),
        (Setting("ACME_X", object(), None, ""), r"the type of setting ACME_X cannot be validated"),
    ],
)
def test_a_bad_declaration_is_the_plugins_mistake(declared: Any, sentence: str, tmp_path: Path) -> None:
    """Junk, clashing names and wrong defaults are PluginErrors that name the plugin."""
    settings = load(HOME, tmp_path)
    settings.adopt("other", [Setting("OTHER_FREEZE", bool, False, "")])
    with pytest.raises(PluginError, match=rf"^plugin acme: .*{sentence}"):
        settings.adopt("acme", [declared])


def test_a_second_kernel_may_adopt_the_same_again(tmp_path: Path) -> None:
    """Two kernels can be made from one settings object."""
    settings = adopted(tmp_path, {"ACME_FREEZE": "1"}, FREEZE)
    settings.adopt("acme", [FREEZE])
    assert dict(settings.plugin) == {"ACME_FREEZE": True}


def test_a_plugin_may_not_declare_a_name_twice(tmp_path: Path) -> None:
    """Two different settings of one name are an error, also within one plugin."""
    settings = adopted(tmp_path, {}, FREEZE)
    with pytest.raises(PluginError, match="named ACME_FREEZE already"):
        settings.adopt("acme", [Setting("ACME_FREEZE", int, 0, "Other.")])


@pytest.mark.parametrize(
    ("files", "environ", "sentence"),
    [
        ({}, {"PREFECT_KERNEL_ACME_LEVEL": "1"}, "did you mean PREFECT_KERNEL_ACME_LEVELS?"),
        ({"prefect.toml": "[kernel]\nacme_level = 1\n"}, {}, "kernel.acme_level (from prefect.toml)"),
        ({"prefect.toml": "[kernel.plugin]\nacme_freez = 1\n"}, {}, "kernel.plugin.acme_freez (from prefect.toml)"),
    ],
)
def test_names_that_no_plugin_declared_are_refused(
    files: dict[str, str], environ: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    """Once all plugins were heard, what is left of the kernel's names is a mistake."""
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    settings = load({**HOME, **environ}, tmp_path)
    settings.adopt("acme", [FREEZE, LEVELS])
    with pytest.raises(SettingsError) as caught:
        settings.check_names()
    assert sentence in caught.value.message


def test_an_override_that_no_plugin_declared_is_refused(tmp_path: Path) -> None:
    """A name given in code is checked like one in a file."""
    with pytest.raises(SettingsError, match=r"ACME_FREEZ .*did you mean ACME_FREEZE"):
        adopted(tmp_path, {}, FREEZE, overrides={"ACME_FREEZ": True})
