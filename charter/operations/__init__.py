"""What happens: one module a subject, one function a business verb, one transaction each."""
