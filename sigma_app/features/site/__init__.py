"""The pages of the site itself: privacy, terms, not found."""
