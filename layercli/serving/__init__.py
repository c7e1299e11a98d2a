"""The HTTP server of ``layercli serve``: requests, answers, batches and the server process."""
