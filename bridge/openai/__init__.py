"""What clients of OpenAI's API ask and are told, over the contract's own request and reply."""
