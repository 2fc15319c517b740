"""The words that Chinese questions are made of: “什么” (what), “谁” (who), “多少” (how many).

In German and English they are stop words. Chinese is indexed by its signs, and texts seldom say them, so that
they would weigh more in a question than what it is about. Texts are indexed with them: only questions lose
them. Names and words that hold the same signs stay (几何, 哪吒, 吗啡, 多伦多大学).
"""

import re

_question_words = re.compile(
    r"请问|請問"
    r"|(?:[为為]|是)?[什甚][么麼](?:[时時]候|[时時][间間]|[样樣])?|怎[么麼]?[样樣]|怎[么麼]|如何|[为為]何"
    r"|何[时時处處地种種]|多少|多久|多(?:大|[长長]|高|[远遠])(?=\W|的|$)"
    r"|哪(?!吒)(?:一?[个個些位里裡裏儿兒种種年]|一)?|[谁誰]"
    r"|[几幾](?=[个個年次种種位名岁歲月天])"
    r"|[吗嗎呢](?=\W|$)"
)
_word = re.compile(r"\w")


def without_question_words(question: str) -> str:
    """The question itself where it says nothing else."""
    rest = _question_words.sub(" ", question)
    return rest if _word.search(rest) else question
