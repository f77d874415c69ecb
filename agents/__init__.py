"""What to do about it: alarms, the runbook that answers them, the policy that allows it, and the dispatcher that acts once."""
