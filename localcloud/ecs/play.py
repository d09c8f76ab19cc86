"""`make run-ecs`, inside of its namespaces: the shop up, and the orders of `make run` played."""

import sys
import time

from localcloud import played
from localcloud import shop as sample
from localcloud.ecs.graph import home
from localcloud.ecs.shop import Discovery, Shop
from localcloud.stack import USERS
from localcloud.steps import step


def main(discovery: Discovery) -> int:
    start = time.monotonic()
    try:
        shop = Shop(home(), discovery)
        people = [shop.api(name) for name in USERS]
        with step("products, stock"):
            sample.fill(people[-1])
        played.play(*people, accepted=201)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # the command's own words instead of a traceback
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    seconds = time.monotonic() - start
    print(f"\nAll of it ends now, {seconds:.0f} s after it began; its logs stay in {shop.home.root / 'logs'}.")
    return 0


if __name__ == "__main__":
    sys.exit(main("service-connect" if sys.argv[1] == "service-connect" else "cloud-map"))
