"""What EdgeVoice is compared with: each peer in processes of its own, and how it is asked."""
