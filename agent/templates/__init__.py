"""The prompt templates that requests may name: those we ship, and over them what operators save."""
