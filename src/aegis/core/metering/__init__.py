"""What the wire says about money: bounds of requests before they are sent, and the usage in answers. Pure."""
