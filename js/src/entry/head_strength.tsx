import { StrengthView } from "../views/strength/strength_view";
import { widget } from "./mount";

export default widget(StrengthView, "Head strength");
