"""What every feature stands on: transactions under a role, migrations, errors."""
