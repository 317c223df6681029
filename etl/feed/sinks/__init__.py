"""One file for each kind of destination; `base` says what all of them do."""
