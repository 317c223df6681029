"""Would the tests notice? One small change at a time in one module, and the tests that ought to fail."""
