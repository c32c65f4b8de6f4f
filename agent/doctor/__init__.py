"""What `edgevoice doctor` looks at: a file a family of checks. Nothing is changed, and no secret is shown."""
