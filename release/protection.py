"""What keeps an environment from being deleted by mistake, and how it is taken away."""

from typing import Any

from release.resources import of_stack
from release.target import Target


def put(target: Target, name: str) -> None:
    """CloudFormation itself then refuses to delete the stack."""
    target.client("cloudformation").update_termination_protection(StackName=name, EnableTerminationProtection=True)


def lift(target: Target, found: Any) -> None:
    """From a described stack and from what in it has a protection of its own."""
    if found.get("EnableTerminationProtection"):
        target.client("cloudformation").update_termination_protection(
            StackName=found["StackId"], EnableTerminationProtection=False
        )
    for resource in of_stack(target, found["StackId"]):
        if resource.kind == "AWS::Cognito::UserPool":
            _free_users(target, resource.physical_id)
        elif resource.kind == "AWS::RDS::DBInstance":
            print(f"  {resource.physical_id}: no deletion protection any more", flush=True)
            target.client("rds").modify_db_instance(
                DBInstanceIdentifier=resource.physical_id, DeletionProtection=False, ApplyImmediately=True
            )
        elif resource.kind == "AWS::ElasticLoadBalancingV2::LoadBalancer":
            target.client("elbv2").modify_load_balancer_attributes(
                LoadBalancerArn=resource.physical_id,
                Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}],
            )


def _free_users(target: Target, pool_id: str) -> None:
    cognito = target.client("cognito-idp")
    pool = cognito.describe_user_pool(UserPoolId=pool_id)["UserPool"]
    if pool.get("DeletionProtection") != "ACTIVE":
        return
    # What is not given goes back to Cognito's default, so all that can be given is; an empty text was never given.
    known = cognito.meta.service_model.operation_model("UpdateUserPool").input_shape.members
    kept = {key: value for key, value in pool.items() if key in known and value != ""}
    kept.get("AdminCreateUserConfig", {}).pop("UnusedAccountValidityDays", None)  # refused beside its successor
    cognito.update_user_pool(**kept | {"UserPoolId": pool_id, "DeletionProtection": "INACTIVE"})
    print(f"  {pool_id}: no deletion protection any more", flush=True)
