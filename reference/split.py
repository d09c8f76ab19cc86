"""One service out of the shop's stack into one of its own: `python -m reference.split notifications FOLDER`.

The template is cut as text, so that what was written stays as it was written. What every service needs and each can
have for itself (a migrator, a front door) is copied, under names of the new stack's own; what stays the shop's arrives
through Parameter Store.
"""

import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from reference import ROOT

SHARED = {
    "Bus": ("EventBusName", "event-bus-name", "The shop's bus"),
    "CommonLayer": ("CommonLayerArn", "common-layer-arn", "The layer, as of the shop's last deploy"),
    "Identity": ("", "user-pool-arn", "Whose tokens are taken"),
    "Monitoring": ("", "", "The shop's, which is told of the service no more"),
}
"""What a service uses and cannot own: the parameter in its place, if any, and the name under which it is published."""
BUS = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/${EventBusName}"
FORMS = {
    "!GetAtt Bus.Outputs.Name": "!Ref EventBusName",
    "!GetAtt Bus.Outputs.Arn": f'!Sub "{BUS}"',
    "!Ref CommonLayer": "!Ref CommonLayerArn",
    # No parameter: in an authorizer SAM would put the parameter's default in, which is a name and not an ARN.
    "!GetAtt Identity.Outputs.UserPoolArn": '!Sub "{{resolve:ssm:/kumiki/${Environment}/shop/user-pool-arn}}"',
}
STAGE = "      StageName: !Ref Environment\n"
ALWAYS = "      AlwaysDeploy: true # to SAM alone, another AllowedOrigin or DomainName is no change of the API\n"
ALARMS = """
  # Alarms as they were in the shop, to the same people

  Alarms:
    Type: AWS::Serverless::Application
    Condition: OnAws
    Properties:
      Location: infra/service_alarms.yaml
      Parameters:
        Service: {service}
        Environment: !Ref Environment
        Prefix: !Sub kumiki-${{Environment}}-own
        TopicArn: !Sub "{{{{resolve:ssm:/kumiki/${{Environment}}/shop/alarm-topic-arn}}}}"
        ApiFunction: !Ref {prefix}Api
        ConsumerFunction: !Ref {prefix}Consumer
        Subscribes: "{subscribes}"
"""
QUEUE = "kumiki-${Environment}-${Service}"
"""A queue's name in infra/service_alarms.yaml; that of the service's own stack has another."""
REFERENCE = re.compile(r"(?:!Ref |!GetAtt |!Condition |Condition: |!If \[|\$\{|DependsOn: |^ +- )(\w+)", re.MULTILINE)
NAMED = re.compile(r"^( +\w*Name: !Sub .*?\$\{Environment\})(/?)", re.MULTILINE)
SETTING = re.compile(r"^ +- \{HttpMethod: \w+, ResourcePath: /(~1[\w~]+),.*\n {11}.*\n", re.MULTILINE)
Entries = dict[str, str]


class Split(NamedTuple):
    shop: str
    own: str


class CannotBeCut(Exception):
    """The template refers to something across the cut in a way that this module does not know."""


def split(template: str, service: str) -> Split:
    """The template without the service, and the service's own. Raises CannotBeCut."""
    head, sections = _sections(template)
    prefix, resources = service.capitalize(), sections["Resources"]
    own_ids = {name for name in resources if name.startswith(prefix)}
    others = set(_services(resources)) - {prefix}
    copied = _copied(resources, own_ids, others)
    own = {
        name: _beside(text, service) if name in own_ids else _copy(text, service)
        for name, text in ((name, _through_parameters(text)) for name, text in resources.items())
        if name in own_ids | copied
    }
    own = _with_settings_of_own_routes(own)
    own["Api"] = own["Api"].replace(STAGE, STAGE + ALWAYS)
    subscribes = str(f"{prefix}Subscription" in own).lower()
    own["Alarms"] = ALARMS.format(service=service, prefix=prefix, subscribes=subscribes)
    said = {name: _through_parameters(text) for name, text in sections["Outputs"].items()}
    known, elsewhere = own_ids | copied | {name for name, _, _ in SHARED.values()}, resources.keys() - own_ids - copied
    outputs = {
        name: text for name, text in said.items() if _references(text) & known and not _references(text) & elsewhere
    }
    globals_ = _through_parameters("".join(sections["Globals"].values()))
    used = _references("".join([globals_, *own.values(), *outputs.values()]))
    conditions = {name: text for name, text in sections["Conditions"].items() if name in used}
    used |= _references("".join(conditions.values()))
    published = {
        name: f"  {name}:\n    Description: {description}\n    Type: AWS::SSM::Parameter::Value<String>\n"
        f"    Default: /kumiki/local/shop/{path}\n"
        for name, path, description in SHARED.values()
        if name in used
    }
    parameters = {name: text for name, text in sections["Parameters"].items() if name in used}
    if missing := (used & resources.keys()) - own.keys():
        raise CannotBeCut(f"{service} needs {', '.join(sorted(missing))} of the shop")
    heading = re.sub(
        r"Description: >-\n(?:  .*\n)+",
        f"Description: >-\n  Kumiki: {service}, in a stack of its own beside the shop's; made by reference/split.py.\n",
        head,
    )
    cut = {
        "Parameters": parameters | published,
        "Conditions": conditions,
        "Globals": {"Function": globals_},
        "Resources": own,
        "Outputs": outputs,
    }
    return Split(_without(head, sections, own_ids), _text(heading, cut))


def configuration(samconfig: str, service: str, own: str) -> str:
    """samconfig.toml for the service's own template: what that takes, and a stack name of its own."""
    taken = set(_sections(own)[1]["Parameters"])
    lines = []
    for line in samconfig.splitlines(keepends=True):
        override = re.match(r'    "(\w+)=', line)
        if override is None or override[1] in taken:
            lines.append(re.sub(r'(stack_name = "kumiki-\w+)', rf"\1-{service}", line))
        if named := re.match(r'    "Environment=(\w+)"', line):
            shared = [(name, path) for name, path, _ in SHARED.values() if name in taken]
            lines += [f'    "{name}=/kumiki/{named[1]}/shop/{path}",\n' for name, path in shared]
    return "".join(lines)


def workflow(dev: str, service: str) -> str:
    """The workflow that deploys dev from main, for the service's own repository: its stack alone, with SAM alone."""
    head, _, job = dev.partition("\n  deploy:\n")
    name = re.sub(r"(?s)^.*?name: dev\n", f"name: {service}\n", head).split("\njobs:")[0]
    job = re.sub(r"    needs: .*\n|    if: .*\n", "", job).replace("group: deploy-dev", f"group: deploy-dev-{service}")
    steps, _, _ = job.partition("      - run: ")
    [sam] = re.findall(r"^aws-sam-cli==[\d.]+", (ROOT / "requirements" / "sam.txt").read_text(), re.MULTILINE)
    deploy = "sam deploy --config-env dev --no-confirm-changeset"
    commands = [f"python -m pip install {sam}", "sam validate --lint", "sam build", deploy]
    runs = "".join(f"      - run: {command}\n" for command in commands)
    comment = "# By a role that trusts this repository, as infra/delivery.yaml makes one.\n"
    return f"{comment}{name}\njobs:\n  deploy:\n{steps}{runs}"


def own(service: str) -> dict[str, str]:
    """By path in the service's repository, what it has beside its sources."""
    names = ("template.yaml", "samconfig.toml", ".github/workflows/dev.yml")
    template, samconfig, dev = ((ROOT / name).read_text(encoding="utf-8") for name in names)
    made = split(template, service).own
    alarms = (ROOT / "infra" / "service_alarms.yaml").read_text(encoding="utf-8").replace(QUEUE, f"{QUEUE}-own")
    texts = (made, configuration(samconfig, service, made), workflow(dev, service), alarms)
    return dict(zip((*names, "infra/service_alarms.yaml"), texts, strict=True))


def write(service: str, folder: Path) -> None:
    """Two trees that can be built and deployed, `shop` and the service's: sources, templates, configuration."""
    names = ("template.yaml", "samconfig.toml", "infra/monitoring.yaml")
    template, samconfig, watch = ((ROOT / name).read_text(encoding="utf-8") for name in names)
    made = (split(template, service).shop, samconfig, monitoring(watch, service))
    shop = dict(zip(names, made, strict=True))
    for name, files in (("shop", shop), (service, own(service))):
        tree = folder / name
        shutil.copytree(ROOT / "infra", tree / "infra")
        shutil.copytree(ROOT / "services", tree / "services", ignore=shutil.ignore_patterns("__pycache__"))
        if name == "shop":
            shutil.copytree(ROOT / "layers", tree / "layers", ignore=shutil.ignore_patterns("__pycache__"))
        for other in [path for path in (tree / "services").iterdir() if path.is_dir()]:
            if (other.name == service) == (name == "shop"):
                shutil.rmtree(other)
        for path, text in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text, encoding="utf-8")


def monitoring(template: str, service: str) -> str:
    """infra/monitoring.yaml for the shop: nobody is woken twice by the alarms that the service has taken along."""
    return _without(*_sections(template), {service.capitalize()})


def _sections(template: str) -> tuple[str, dict[str, Entries]]:
    """What stands before the first section with entries, and each section's entries with the comments above them."""
    head, *parts = re.split(
        r"^(?=(?:Parameters|Conditions|Globals|Resources|Outputs):\n)", template, flags=re.MULTILINE
    )
    sections = {}
    for part in parts:
        title, _, body = part.partition(":\n")
        pieces = re.split(r"^((?:[ ]{2}\#.*\n|\n)*[ ]{2}\w+:)", body, flags=re.MULTILINE)
        entries = zip(pieces[1::2], pieces[2::2], strict=True)
        sections[title] = {key.split("\n")[-1].strip(" :"): key + text for key, text in entries}
    return head, sections


def _services(resources: Entries) -> list[str]:
    return [name.removesuffix("Api") for name in resources if name.endswith("Api") and name != "Api"]


def _references(text: str) -> set[str]:
    code = re.sub(r"(^|\s)#.*", "", text)
    lists = [name for found in re.findall(r"DependsOn: \[(.*?)\]", code) for name in found.split(", ")]
    return {*REFERENCE.findall(code), *lists}


def _copied(resources: Entries, own: set[str], others: Iterable[str]) -> set[str]:
    """What the service cannot do without, and what belongs to that: neither other services' nor left to the shop."""
    ours = {
        name: _references(text)
        for name, text in resources.items()
        if name not in own and name not in SHARED and not name.startswith(tuple(others))
    }
    copied: set[str] = set()
    while True:
        needed = set().union(*(_references(resources[name]) for name in own | copied)) & ours.keys()
        for name, references in ours.items():
            if references & copied and not references & (resources.keys() - ours.keys() - SHARED.keys()):
                needed.add(name)
        if needed <= copied:
            return copied
        copied |= needed


def _through_parameters(text: str) -> str:
    for form, parameter in FORMS.items():
        text = re.sub(rf"{re.escape(form)}\b", lambda _, parameter=parameter: parameter, text)  # type: ignore[misc]
    return text


def _copy(text: str, service: str) -> str:
    text = NAMED.sub(lambda found: f"{found[1]}{found[2] or '-'}{service}{found[2]}", text)
    return text.replace("${Environment}/migrator", f"${{Environment}}/{service}-own/migrator")


def _beside(text: str, service: str) -> str:
    """With names apart from those that the shop still has: queue, schedule, logs. The switch loses nothing, since the
    inbox tells repeats. The alarms of the canary are those of this stack."""
    text = re.sub(rf"(Consumer: |\${{Environment}}[-/]){service}\b", rf"\1{service}-own", text)
    return text.replace(f"Monitoring.Outputs.{service.capitalize()}", "Alarms.Outputs.")


def _without(head: str, sections: dict[str, Entries], gone: set[str]) -> str:
    """Who watches over all services is told of `none` in the place of what is gone."""
    nobody = re.compile(rf"!Ref (?:{'|'.join(gone)})\b")
    resources = {name: nobody.sub("none", text) for name, text in sections["Resources"].items() if name not in gone}
    resources = _with_settings_of_own_routes(resources)
    outputs = {name: text for name, text in sections["Outputs"].items() if not _references(text) & gone}
    if left := [name for name, text in resources.items() if _references(text) & gone]:
        raise CannotBeCut(f"{', '.join(left)} of the shop cannot do without")
    used = _references("".join([*sections.get("Globals", {}).values(), *resources.values(), *outputs.values()]))
    conditions = {name: text for name, text in sections["Conditions"].items() if name in used}
    return _text(head, sections | {"Conditions": conditions, "Resources": resources, "Outputs": outputs})


def _with_settings_of_own_routes(resources: Entries) -> Entries:
    """A stage with a setting for a route that it has not is refused."""
    routes = "".join(resources.values())

    def kept(setting: re.Match[str]) -> str:
        return setting[0] if f"Path: {setting[1].replace('~1', '/')}}}" in routes else ""

    return {name: SETTING.sub(kept, text) for name, text in resources.items()}


def _text(head: str, sections: dict[str, Entries]) -> str:
    written = [
        f"{title}:\n{''.join(entries.values()).strip(chr(10))}\n" for title, entries in sections.items() if entries
    ]
    return head + "\n".join(written)


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]))
