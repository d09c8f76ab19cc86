"""What is known of one customer, forgotten by every service that knows it. See docs/operations.md for what remains."""

from operations.cloud import Cloud

KNOW_CUSTOMERS = ("orders", "payments", "shipping", "notifications")


def erase(cloud: Cloud, customer_id: str) -> bool:
    """Whether all is forgotten: what is underway still needs its address. Can be repeated. Raises FunctionFailed."""
    underway = 0
    for service in KNOW_CUSTOMERS:
        if service not in cloud.services:
            print(f"{service}: not in this stack, and to be asked in its own")
            continue
        [row] = cloud.ask(service, "erase", customer_id)
        print(f"{service}: {row['erased']} erased" + (f", {row['underway']} still underway" if row["underway"] else ""))
        underway += row["underway"]
    return not underway
