"""What Storage answers when it refuses: its own codes and words (supabase/storage, src/internal/errors/codes.ts).

The body says the status, as a string; the HTTP status is 400 for nearly all of them, as the real server has it.
"""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from starlette.responses import JSONResponse


class StorageError(Exception):
    """One refusal."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        error: str | None = None,
        http: int = 400,
        headers: Mapping[str, str] | None = None,
    ):
        """Say what the answer says.

        Args:
            status: what the body has for statusCode.
            code: one of the real server's.
            message: for people.
            error: an older word for the code, where there is one.
            http: the answer's own status.
            headers: further ones of the answer.
        """
        super().__init__(message)
        self.status, self.code, self.message, self.error, self.http = status, code, message, error or code, http
        self.headers = headers

    def answer(self) -> JSONResponse:
        """The answer."""
        body = {"statusCode": str(self.status), "error": self.error, "message": self.message, "code": self.code}
        return JSONResponse(body, self.http, self.headers)


def no_such_bucket() -> StorageError:
    """There is none of this name, or nobody may know of it."""
    return StorageError(404, "NoSuchBucket", "Bucket not found", error="Bucket not found")


def no_such_key() -> StorageError:
    """There is no object of this name, or row level security hides it."""
    return StorageError(404, "NoSuchKey", "Object not found", error="not_found")


def no_such_content() -> StorageError:
    """There is a row, but no bytes to it."""
    message = "The resource was not found"
    return StorageError(404, "NoSuchKey", message, error="Not found", headers={"cache-control": "no-store"})


def no_such_route(method: str, target: str) -> StorageError:
    """Nothing is served there."""
    message = f"Route {method}:{target} not found"
    return StorageError(404, "InvalidRequest", message, error="Not Found", http=404)


def invalid_bucket_name() -> StorageError:
    """No bucket may be called so."""
    return StorageError(400, "InvalidBucketName", "Bucket name invalid", error="Invalid Input")


def invalid_key(name: str) -> StorageError:
    """No object may be called so."""
    return StorageError(400, "InvalidKey", f"Invalid key: {name}")


def invalid_request(message: str, *, error: str | None = None) -> StorageError:
    """It makes no sense."""
    return StorageError(400, "InvalidRequest", message, error=error)


def invalid_parameter(name: str) -> StorageError:
    """One value of it makes no sense."""
    return StorageError(400, "InvalidParameter", f"Invalid Parameter {name}")


def no_content() -> StorageError:
    """An upload with nothing to store."""
    return invalid_request("No content provided")


def invalid_mime_type(kind: str) -> StorageError:
    """The bucket takes other kinds of files."""
    message = f"mime type {kind} is not supported"
    return StorageError(415, "InvalidMimeType", message, error="invalid_mime_type")


def invalid_content_type() -> StorageError:
    """A Content-Type that is none."""
    return StorageError(415, "InvalidMimeType", "Invalid Content-Type header", error="invalid_mime_type")


def too_large(what: str = "object") -> StorageError:
    """More bytes than there may be."""
    message = f"The {what} exceeded the maximum allowed size"
    return StorageError(413, "EntityTooLarge", message, error="Payload too large")


def already_exists(code: str = "ResourceAlreadyExists") -> StorageError:
    """The name is taken."""
    return StorageError(409, code, "The resource already exists", error="Duplicate")


def bucket_not_empty() -> StorageError:
    """Its objects go first."""
    return StorageError(409, "ResourceNotEmpty", "The bucket you tried to delete is not empty")


def access_denied(message: str = "Access denied", *, http: int = 400) -> StorageError:
    """Whoever asks may not."""
    return StorageError(403, "AccessDenied", message, error="Unauthorized", http=http)


def invalid_jwt(message: str) -> StorageError:
    """The token of a signed address is none of ours, or its time is over."""
    return StorageError(400, "InvalidJWT", message)


def invalid_signature(message: str = "Invalid signature") -> StorageError:
    """The token of a signed address is for another one."""
    return StorageError(400, "InvalidSignature", message)


def invalid_range(size: int) -> StorageError:
    """No byte of the range exists."""
    return StorageError(
        416,
        "InvalidRange",
        "invalid range provided",
        error="invalid_range",
        http=416,
        headers={"content-range": f"bytes */{size}"},
    )


def invalid_header(name: str) -> StorageError:
    """A value that no header may have."""
    message = f'Invalid character in response header "{name}"'
    return invalid_request(message, error="invalid_header_char")


def disk_full() -> StorageError:
    """There is no room for the file; nothing of it was kept."""
    return StorageError(507, "InternalError", "There is no room left to store the file", http=507)


def database_away() -> StorageError:
    """The database does not answer, or did not in time."""
    return StorageError(503, "DatabaseTimeout", "The connection to the database timed out", http=503)


def from_postgres(error: psycopg.Error) -> StorageError:
    """What Postgres refused, in Storage's words."""
    said = error.diag.message_primary or ""
    match error.sqlstate:
        case "42501" if "row-level security" in said:
            return access_denied("new row violates row-level security policy")
        case "42501" | "22023":
            return access_denied(said)
        case "23505":
            return already_exists()
        case "23503" if "still referenced" in (error.diag.message_detail or ""):
            message = "The resource could not be updated or removed due to a foreign key constraint"
            return StorageError(409, "ResourceReferenced", message)
        case "23503":
            return StorageError(404, "InvalidRequest", "The related resource does not exist")
        case "55P03" | "40P01":
            return StorageError(423, "ResourceLocked", "The resource is locked")
        case "57014":
            return database_away()
        case str(state) if state.startswith("22"):
            return StorageError(400, "InvalidParameter", said)
        case "42P17":
            message = "The database schema is invalid or incompatible."
            return StorageError(503, "DatabaseInvalidObjectDefinition", message)
        case state:
            return StorageError(500, "DatabaseError", f"database error, code: {state}", http=500)
