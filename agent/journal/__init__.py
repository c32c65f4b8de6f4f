"""What survives a crash: admitted requests and their replies, conversations, prompt templates, in SQLite."""
