"""Tables, views, the price book, and how a database gets and keeps them."""
