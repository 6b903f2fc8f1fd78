"""What can go wrong, as one tree of exceptions with stable codes.

    HaiError
    |-- BadRequest 400          |-- ClientIdReused 409     |-- RateLimited 429
    |   `-- UnknownOrder 400    |-- EpochChanged 409       |-- Busy 503
    |-- Unauthorized 401        |-- TooLarge 413           `-- StorageFull 507
    |   `-- CodeNeeded 401      |-- PictureType 415
    |-- Forbidden 403           |-- PictureTruncated 422
    |   `-- FactorNeeded 403    |-- PictureUnreadable 422
    |-- NotFound 404            |-- TextTooLong 422
    |-- NotConfirmed 409        |-- UploadType 415
    |-- PictureDamaged 500      |-- UploadChecksum 460
    |-- UploadOffset 409        `-- Misdirected 421
    `-- UploadVersion 412

`code` is for programs and never changes, `message` is for people and may.
Each edge translates in one place: web/http/base.py, realtime/orders.py, cli.
"""

from typing import Any, ClassVar

from hai.shapes import ErrorObject


class HaiError(Exception):
    """An order was refused, and nothing of it was stored."""

    code: ClassVar[str] = "bad_request"
    status: ClassVar[int] = 400
    message: str = "That is not possible."

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.message = message or type(self).message
        self.details = details
        super().__init__(self.message)

    def as_dict(self) -> ErrorObject:
        """The error object of every ack and of every JSON answer."""
        error: ErrorObject = {"code": self.code, "message": self.message}
        if self.details:
            error["details"] = self.details
        return error


class BadRequest(HaiError):
    """Malformed: a field is missing, of the wrong type or out of range."""

    message = "That request is not complete."


class UnknownOrder(BadRequest):
    code = "unknown_order"
    message = "There is no such order."


class Unauthorized(HaiError):
    code, status = "unauthorized", 401
    message = "Please sign in."


class CodeNeeded(Unauthorized):
    """The password was right, and there is a second factor.

    half: what the browser comes back with (core/identity/second_step.py).
    """

    code = "code_needed"
    message = "One more step: the code from your app, or a recovery code."

    def __init__(self, half: str = "") -> None:
        self.half = half
        super().__init__()


class Forbidden(HaiError):
    """Only for those who may know that the thing exists; else NotFound."""

    code, status = "forbidden", 403
    message = "You may not do that here."


class FactorNeeded(Forbidden):
    """Signed in by password alone, where the setting second_factor asks for more."""

    code = "second_factor_needed"
    message = "Set up two-step sign-in first. It is asked for here."


class NotFound(HaiError):
    code, status = "not_found", 404
    message = "There is nothing here."


class ClientIdReused(HaiError):
    code, status = "client_id_reused", 409
    message = "This client_id was used for another hai."


class NotConfirmed(HaiError):
    """It cannot be undone: to be sent again with `is_confirmed`."""

    code, status = "not_confirmed", 409
    message = "This cannot be taken back. Say that you mean it."


class EpochChanged(HaiError):
    code, status = "epoch_changed", 409
    message = "The server's database was replaced. Start afresh."


class TooLarge(HaiError):
    code, status = "too_large", 413
    message = "That is too large."


class PictureType(HaiError):
    code, status = "picture_type", 415
    message = (
        "Pictures can be PNG, JPEG, GIF or WebP, videos MP4 or WebM, and voices Opus"
        " or M4A."
    )


class PictureTruncated(HaiError):
    code, status = "picture_truncated", 422
    message = "The picture did not arrive whole."


class PictureUnreadable(HaiError):
    code, status = "picture_unreadable", 422
    message = "That picture could not be read. Please try another one."


class PictureDamaged(HaiError):
    """The bytes read are not those stored: the disk, or somebody, changed them."""

    code, status = "picture_damaged", 500
    message = "This picture is damaged on the server."


class TextTooLong(HaiError):
    code, status = "text_too_long", 422
    message = "The text is too long."


class RateLimited(HaiError):
    code, status = "rate_limited", 429
    message = "That was a little fast. Please wait a moment."


class Busy(HaiError):
    code, status = "busy", 503
    message = "Hai is busy. Please try again."


class StorageFull(HaiError):
    code, status = "storage_full", 507
    message = "There is no room left on the server."


class UploadOffset(HaiError):
    """Ask where the upload is, and go on from there."""

    code, status = "upload_offset", 409
    message = "The upload is at another place."


class UploadVersion(HaiError):
    code, status = "upload_version", 412
    message = "Uploads go by tus 1.0.0."


class UploadType(HaiError):
    code, status = "upload_type", 415
    message = "An upload's bytes are application/offset+octet-stream."


class UploadChecksum(HaiError):
    """None of the bytes are kept: send them again."""

    code, status = "upload_checksum", 460
    message = "Those bytes are not what the checksum says."


class Misdirected(HaiError):
    """Asked for a host that is not this one (RFC 9110, 15.5.20)."""

    code, status = "misdirected", 421
    message = "Hai is reached at another address."


def all_errors() -> list[type[HaiError]]:
    """Every class that has a code, in the order written above."""
    found: list[type[HaiError]] = []
    waiting = list(HaiError.__subclasses__())
    while waiting:
        error = waiting.pop(0)
        found.append(error)
        waiting.extend(error.__subclasses__())
    return found
