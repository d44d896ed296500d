"""`python -m sigma_app`: see sigma_app/cli."""

from sigma_app.cli import main

main()
