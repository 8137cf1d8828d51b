"""What all networks stand on."""
