"""Results whose every text is an attack, as they are read from a file."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from support import made_results as made

from nbvlm.grounding import Problem
from nbvlm.images.picture import Picture
from nbvlm.result import Result

ATTACKS = (
    "'; touch hacked; '",
    '"; touch hacked; "$(touch hacked)`touch hacked`${HOME}',
    "x\nJSON\ntouch hacked\n",
    "x\nPICTURE\ntouch hacked\nEOF\n'\n",
    '"); __import__("os").system("touch hacked"); ("',
    "'''); __import__('os').system('touch hacked') #\\",
    '"""\\"""',
    "</pre></title></style></textarea><script>window.hacked=1</script><img src=x onerror=window.hacked=1>",
    '"><svg onload=window.hacked=1>&lt;script&gt;window.hacked=1&lt;/script&gt;]]>-->',
    "javascript:window.hacked=1",
    '=HYPERLINK("http://127.0.0.1/")',
    "@SUM(1)\r\n=1",
    "\x1b]0;x\x07\x1b[2J\x9b31m\x00\x7f",
    "\u202egnp.exe\u2066\ufeff",
    "half a character \ud83d, no character \ufffe \uffff",
    "../../etc/passwd",
    "-rf",
    "@/etc/passwd",
    "photo[1].png",
    "{a,b}.png",
    "~root",
    "data:,x",
    "%s %n \\n $'\\x41' !! {0} {head}",
)


def hostile(attack: str, **changes: Any) -> Result:
    """A result whose texts are an attack, as it is read from a file."""
    picture = Picture.load(made.image(), name="pets.png")
    found = dataclasses.replace(made.found(), labels=(attack, "cat", attack))
    result = made.result(
        picture,
        detections=found,
        text=attack,
        asked=attack,
        reasoning=attack,
        prompt=attack,
        model=attack,
        finish_reason=attack,
        request_id=attack,
        created=attack,
        notices=(attack,),
        problems=(Problem("swapped", 1, attack), Problem(attack, 2, attack)),
    )
    data = json.loads(result.to_json())
    data["picture"]["name"] = attack
    data["detections"]["codebook"] = attack
    return dataclasses.replace(Result.from_json(json.dumps(data), picture), **changes)
