"""What survives a crash: admitted requests and the replies they got, in SQLite."""
