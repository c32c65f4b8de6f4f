"""How a conversation becomes a prompt."""

from pydantic import BaseModel, Field


class Conversation(BaseModel):
    """The template in a model's mlc-chat-config.json."""

    system_template: str = "{system_message}"
    system_message: str = ""
    roles: dict[str, str]
    seps: list[str]
    role_content_sep: str = ""
    role_empty_sep: str = ""
    stop_str: list[str] = Field(default_factory=list)
    stop_token_ids: list[int] = Field(default_factory=list)

    def as_prompt(self, messages):
        """The prompt: roles, contents and separators in their order."""
        system = [m.content or "" for m in messages if m.role == "system"] or [self.system_message]
        prompt = self.system_template.replace("{system_message}", system[0])
        for message in messages:
            if message.role != "system":
                prompt += f"{self.roles[message.role]}{self.role_content_sep}{message.content or ''}"
                prompt += self.seps[-1 if message.role == "assistant" else 0]
        return prompt + self.roles["assistant"] + self.role_empty_sep
