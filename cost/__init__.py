"""What an environment costs a month, of either design, from its templates: `make cost ENV=dev`."""
