"""The manifest of a connector: one model gives its settings' types, checks and documentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from hub.errors import ConfigError
from hub.sdk.sink import Sink

SECRET_WORDS = ("password", "secret", "token", "credential")


class Settings(BaseModel):
    """Base of a connector's settings. Every field has a description; a secret is a `SecretStr`.

    Unknown names are refused; no message quotes a value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


S = TypeVar("S", bound=Settings)


class Text(NamedTuple):
    """One sentence in Azerbaijani and in English."""

    az: str
    en: str


class Option(NamedTuple):
    """One setting, for help and documentation. `default` is shown as text, empty where the setting is required."""

    name: str
    type: str
    required: bool
    secret: bool
    default: str
    doc: str


@dataclass(frozen=True, slots=True)
class Connector(Generic[S]):
    """What `connectors/<name>/connector.py` exports as `CONNECTOR`; `name` is the folder's name.

    `sink` makes one sink from checked settings and does nothing else: the work starts in `Sink.open`.
    `reads`: event type → fields that its code looks into, so that `hub schema diff` can say what a change breaks;
    one that passes on what comes has none.
    """

    name: str
    summary: Text
    settings: type[S]
    sink: Callable[[S], Sink]
    reads: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def configure(self, values: Mapping[str, Any]) -> S:
        """Settings from raw values (text as typed on a command line will do).

        Raises `ConfigError` that names everything wrong at once and quotes no value.
        """
        try:
            return self.settings.model_validate(dict(values))
        except ValidationError as error:
            raise ConfigError(f"connector {self.name}: {self._explain(error)}") from None

    def options(self) -> Sequence[Option]:
        """The settings in the order of the model."""
        return [_option(name, of) for name, of in self.settings.model_fields.items()]

    def problems(self) -> Sequence[str]:
        """What is wrong with the manifest itself, one sentence each; empty when nothing is."""
        found = [f"summary in {language} is empty" for language, text in self.summary._asdict().items() if not text]
        for option in self.options():
            if not option.doc:
                found.append(f"setting {option.name} has no description")
            if not option.secret and any(word in option.name for word in SECRET_WORDS):
                found.append(f"setting {option.name} looks like a secret: make it a SecretStr")
        return found

    def _explain(self, error: ValidationError) -> str:
        known = ", ".join(self.settings.model_fields)
        said = []
        for problem in error.errors(include_url=False, include_input=False):
            name = ".".join(map(str, problem["loc"])) or "settings"
            hint = f" (known: {known})" if problem["type"] == "extra_forbidden" else ""
            said.append(f"{name}: {problem['msg']}{hint}")
        return "; ".join(said)


def _option(name: str, field: FieldInfo) -> Option:
    required = field.is_required()
    secret = "SecretStr" in str(field.annotation)
    default = "" if required else "***" if isinstance(field.default, SecretStr) else str(field.get_default())
    kind = getattr(field.annotation, "__name__", str(field.annotation))
    return Option(name, kind, required, secret, default, field.description or "")
