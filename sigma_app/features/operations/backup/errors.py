"""What goes wrong with backups, each in words that say the way out."""

from __future__ import annotations

from sigma_app.core.errors import StartError


class BackupError(StartError):
    """The backup could not be made."""


class Damaged(StartError):
    """The backup is not what was written."""


class WrongPassphrase(StartError):
    """This is not the passphrase that the backup was sealed with. Set SIGMA_BACKUP_SECRET to that one."""


class NeedsPassphrase(StartError):
    """The backup is sealed. Set SIGMA_BACKUP_SECRET to its passphrase."""


class NotRestored(StartError):
    """The backup could not be restored. Nothing was changed."""


class Differs(StartError):
    """What was restored is not what was backed up."""
