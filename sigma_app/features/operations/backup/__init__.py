"""Backups: one file that holds the whole database, the stored files and two lists, with a hash of each part.

`making` writes it, `restoring` puts it into an empty Sigma, `verifying` does so in a scratch one and compares row by
row; `container` is the file itself, `manifest` what it says of itself, `tables` what is compared, `keeping` which files
stay. docs/operations/backup.md is the operator's page.
"""
