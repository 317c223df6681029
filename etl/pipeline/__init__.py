"""One run of one source, from pages to commits; `sync` is where it begins."""
