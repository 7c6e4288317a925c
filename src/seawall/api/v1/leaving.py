"""Leaving with everything: the account as files, and its deletion."""

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from seawall.api.bodies import Time, Told
from seawall.api.callers import SESSION_COOKIE, client_of
from seawall.api.deps import TheDesk, ThePerson
from seawall.api.operations import routes
from seawall.api.shares import Shares
from seawall.api.v1.proofs import FullProof, PasswordProof
from seawall.identity import leaving
from seawall.identity.accounts import find_person, prove
from seawall.identity.export import count_export, export_account

router = routes("/account", "account")


class DeletedAccount(Told):
    """When an account was deleted, and from when on it is gone for good."""

    deleted_at: Time
    purged_after: Time


@router.post(
    "/export",
    operation_id="exportAccount",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}, "description": "CSV files in a ZIP."}},
)
async def export(
    desk: TheDesk, request: Request, caller: ThePerson, body: PasswordProof
) -> Response:
    """Give everything that is the user's own, as CSV files and a manifest in a ZIP."""
    user = await find_person(desk, caller.user_id)
    await prove(desk, user, body.password)
    await count_export(desk, user.id)
    shares: Shares = request.app.state.shares
    async with shares.held(user.id):
        made = await export_account(desk, user.id, client_of(request))
    return StreamingResponse(
        made.pieces(),
        headers={
            "Content-Length": str(made.size_bytes),
            "Content-Disposition": 'attachment; filename="seawall-account.zip"',
        },
        media_type="application/zip",
    )


@router.post("/deletion", operation_id="deleteAccount")
async def delete_account(
    desk: TheDesk, request: Request, response: Response, caller: ThePerson, body: FullProof
) -> DeletedAccount:
    """Delete the account: everything ends at once, and is removed for good after 30 days."""
    user = await find_person(desk, caller.user_id)
    left = await leaving.delete_account(desk, user, body.password, body.code, client_of(request))
    response.delete_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return DeletedAccount.model_validate(left)
