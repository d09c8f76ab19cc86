"""The front door as its template now says. API Gateway answers as an API was when it was last deployed to its stage.
SAM deploys it again when the text of the template has changed, in which another value of a parameter does not show."""

from release.resources import of_stack
from release.target import Target


def put_before_callers(target: Target, name: str) -> bool:
    """Deploy the API of a stack again if it was changed after its stage was. Whether it was. Raises boto3's errors."""
    found = {resource.kind: resource for resource in of_stack(target, name)}
    api, stage = found["AWS::ApiGateway::RestApi"], found["AWS::ApiGateway::Stage"].physical_id
    gateway = target.client("apigateway")
    serving = gateway.get_stage(restApiId=api.physical_id, stageName=stage)["deploymentId"]
    deployed_at = gateway.get_deployment(restApiId=api.physical_id, deploymentId=serving)["createdDate"]
    if api.changed_at.replace(microsecond=0) <= deployed_at:  # which has whole seconds
        return False
    gateway.create_deployment(
        restApiId=api.physical_id, stageName=stage, description="another value of a parameter of its template"
    )
    print(f"  {stage}: the API as it was changed by a parameter is deployed", flush=True)
    return True
