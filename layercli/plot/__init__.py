"""Pictures of a model: SVG, PNG and Mermaid."""
