"""The bodies of GET /experiments."""

from datetime import date

from pydantic import AwareDatetime, BaseModel, Field

from domain.experiment import Metric, State
from recommend.experiments import Verdict


class ArmOut(BaseModel):
    name: str
    weight: int = Field(description="Percent of the experiment's accounts.")
    model: str | None = Field(description="A version of the model; null: the one that all others get.")
    rules: dict[str, float] = Field(description="Business rules in place of those of the configuration.")


class _ExperimentOut(BaseModel):
    name: str
    state: State
    rollout: int = Field(description="Percent of all accounts that take part.")
    metric: Metric = Field(description="What is decided by.")
    alpha: float
    currency: str | None
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    stopped_at: AwareDatetime | None


class ExperimentSummaryOut(_ExperimentOut):
    arms: list[ArmOut] = Field(description="The first one is the control.")


class ExperimentsOut(BaseModel):
    items: list[ExperimentSummaryOut]
    next_cursor: str | None = None


class EstimateOut(BaseModel):
    """`low` and `high` hold however often they are looked at; null where there is too little to say."""

    value: float | None
    low: float | None
    high: float | None


class ComparisonOut(BaseModel):
    difference: float | None = Field(description="The arm's value less the control's.")
    lift: float | None = Field(description="The difference as a share of the control's value.")
    low: float | None
    high: float | None
    p_value: float = Field(description="Holds however often it is looked at; corrected for the number of arms.")


class AgainstControlOut(BaseModel):
    verdict: Verdict = Field(description="By the experiment's metric, at its alpha.")
    ctr: ComparisonOut
    conversion: ComparisonOut
    revenue_per_account: ComparisonOut


class ArmFiguresOut(ArmOut):
    accounts: int = Field(description="That got an answer.")
    answers: int
    fallbacks: int = Field(description="Answers that the arm's model and rules were not behind. They count.")
    clicks: int
    converted: int = Field(description="Accounts with a purchase.")
    purchases: int
    attributed_purchases: int = Field(description="Those that carry the recommendation_id of an answer.")
    unpriced: int = Field(description="Purchases without an amount that counts.")
    revenue: float
    attributed_revenue: float = Field(description="Of the attributed purchases.")
    misassigned: int = Field(description="Answers that named another arm than the account's; they do not count.")
    ctr: EstimateOut = Field(description="Clicks an answer.")
    conversion: EstimateOut = Field(description="Accounts with a purchase, as a share of all.")
    revenue_per_account: EstimateOut
    against_control: AgainstControlOut | None = Field(description="null for the control.")


class SharesOut(BaseModel):
    """Whether the arms have the shares of the accounts that their weights say."""

    p_value: float = Field(description="Holds however often it is looked at.")
    mismatch: bool = Field(description="Then something is wrong, and no figure is to be trusted.")


class ArmDayOut(BaseModel):
    day: date = Field(description="By UTC.")
    arm: str
    accounts: int = Field(description="That got their first answer on that day.")
    answers: int
    fallbacks: int
    clicks: int
    converted: int
    purchases: int
    attributed_purchases: int
    revenue: float
    attributed_revenue: float


class ExperimentOut(_ExperimentOut):
    arms: list[ArmFiguresOut] = Field(description="The first one is the control.")
    shares: SharesOut
    days: list[ArmDayOut]
