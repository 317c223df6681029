"""What tests, harness and benchmarks share."""
