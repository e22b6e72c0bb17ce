"""What several commands share: options, where cells run, progress, tables, figures, and how a command ends."""
