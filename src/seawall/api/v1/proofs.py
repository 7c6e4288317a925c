"""What shows that it is the user who asks: the password, and a code of the second factor."""

from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints

from seawall.api.bodies import Body

Password = Annotated[SecretStr, Field(max_length=1024, examples=["correct horse battery staple"])]
FactorCode = Annotated[str, StringConstraints(max_length=64), Field(examples=["123456"])]
MaybeCode = Annotated[
    FactorCode | None,
    Field(description="Of the second factor, or a recovery code; needed where that is on."),
]


class PasswordProof(Body):
    """The password, to show that it is the user who asks."""

    password: Password


class FullProof(PasswordProof):
    """The password, and a code where the second factor is on."""

    code: MaybeCode = None
