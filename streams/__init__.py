"""What happens when: brokers, files, time, and the service that joins all parts."""
