"""The doors: headers, addresses, forms."""
