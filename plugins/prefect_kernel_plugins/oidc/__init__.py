"""Callers with a token of an OpenID provider: a signed JWT, as a bearer, or wherever an auth string goes.

On as soon as PREFECT_KERNEL_OIDC_ISSUER is set. Parts: `key_set` (the provider's public keys, from a URL or a file),
`tokens` (the authenticator). It cannot be switched off by leaving the plugin out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field

from prefect_kernel import hookimpl, web
from prefect_kernel.errors import SettingsError
from prefect_kernel.settings import Setting
from prefect_kernel.settings.fields import Names

from ..common.roles import role_settings

PREFIX = "PREFECT_KERNEL_OIDC_"
ISSUER, AUDIENCE, JWKS, LEEWAY = PREFIX + "ISSUER", PREFIX + "AUDIENCE", PREFIX + "JWKS", PREFIX + "LEEWAY_SECONDS"
NAME_CLAIM, ROLE_CLAIM = PREFIX + "NAME_CLAIM", PREFIX + "ROLE_CLAIM"
ROLES, DEFAULT_ROLE = PREFIX + "ROLES", PREFIX + "DEFAULT_ROLE"


@hookimpl
def kernel_settings() -> Iterable[Setting]:
    return [
        Setting(ISSUER, str, "", "Issuer of tokens that are accepted, as they name it (`iss`). Unset, none are."),
        Setting(AUDIENCE, Names, (), "Audiences (`aud`) of which a token must be for one; needed with an issuer."),
        Setting(JWKS, str, "", "URL or file of the issuer's public keys. Unset, the issuer is asked where they are."),
        Setting(
            LEEWAY,
            Annotated[float, Field(ge=0, le=600)],
            30.0,
            "Seconds by which the issuer's clock may differ from this one's.",
        ),
        Setting(NAME_CLAIM, str, "sub", "Claim that says who the caller is, for audit logs."),
        Setting(ROLE_CLAIM, str, "roles", "Claim with roles or groups: a list or a text; dots lead into objects."),
        *role_settings(ROLES, DEFAULT_ROLE, ""),
    ]


@hookimpl
def kernel_authenticators(settings: Any) -> Iterable[web.Authenticator]:
    values = settings.plugin
    if not values[ISSUER]:
        return []
    if not values[AUDIENCE]:
        raise SettingsError(f"{ISSUER} is set: say in {AUDIENCE} for whom tokens must be, or any of it would do.")
    from .key_set import KeySet
    from .tokens import OidcTokens

    return [
        OidcTokens(
            issuer=values[ISSUER],
            audiences=values[AUDIENCE],
            keys=KeySet(values[ISSUER], values[JWKS]),
            leeway=values[LEEWAY],
            name_claim=values[NAME_CLAIM],
            role_claim=values[ROLE_CLAIM],
            roles=values[ROLES],
            default_role=values[DEFAULT_ROLE],
        )
    ]
