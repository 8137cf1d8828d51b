"""What is known of the releases themselves."""
